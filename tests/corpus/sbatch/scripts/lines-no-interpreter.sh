srun ./program
