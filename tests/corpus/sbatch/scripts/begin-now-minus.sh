#!/bin/bash
#SBATCH -b now-1hour
srun ./program
