#!/bin/bash
#SBATCH -b now++1
srun ./program
