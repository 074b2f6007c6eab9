#!/bin/bash
#SBATCH -b now
srun ./program
